"""The corpora as they are published, made small by the test: folders, archives, unsafe archives."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from zoo.core.errors import UserError
from zoo.text import TextSettings, load_card, load_corpus, load_texts
from zoo.text.sources.unpack import unpack

from .published import ARCHIVES, WRITE, pack, write_ag_news, write_clue, write_imdb  # type: ignore[import-not-found]


@pytest.mark.parametrize("name", WRITE)
def test_folder_and_archive_give_the_same_corpus(name: str, tmp_path: Path) -> None:
    root = WRITE[name](tmp_path / "folders")
    (tmp_path / "archives").mkdir()
    pack(root, tmp_path / "archives" / ARCHIVES[name], top=name != "tnews")

    def load(data_dir: Path) -> object:
        return load_corpus(name, TextSettings(), data_dir, tmp_path / "cache")

    corpora = [
        load(tmp_path / "folders"),
        load(tmp_path / "archives"),
        load(tmp_path / "archives"),
        load(root),
    ]
    assert len({corpus.fingerprint for corpus in corpora}) == 1
    corpus = corpora[0]
    card = load_card(name)
    rows = 60
    assert corpus.labels == card.labels
    assert [len(part) for part in corpus.parts.values()] == [54, 6, 60]
    assert f"partial: {rows} of {card.rows['train']:,} training rows" in corpus.notes
    assert f"partial: {rows} of {card.rows['test']:,} test rows" in corpus.notes
    expected = {"imdb": "great", "ag_news": "title", "tnews": "新闻标题", "iflytek": "新闻标题"}[name]
    assert expected in corpus.words or any(word in corpus.words for word in ("新闻", "标题"))
    assert "词" not in corpus.words


def test_labels_follow_the_card(tmp_path: Path) -> None:
    for name in ("tnews", "iflytek"):
        corpus = load_corpus(name, TextSettings(), write_clue(name, tmp_path).parent, tmp_path / "cache")
        assert corpus.test.labels.tolist() == [i % 3 for i in range(60)]
    write_ag_news(tmp_path)
    corpus = load_corpus("ag_news", TextSettings(), tmp_path, tmp_path / "cache")
    assert corpus.test.labels.tolist() == [i % 4 for i in range(60)]


def test_a_text_of_ag_news_is_title_and_description(tmp_path: Path) -> None:
    write_ag_news(tmp_path)
    texts = load_texts("ag_news", TextSettings(), tmp_path, tmp_path / "cache")["test"].texts
    assert texts == [f'test "title" {i} about, {i} and\\more' for i in range(60)]


def test_imdb_classes_are_those_of_their_folders(tmp_path: Path) -> None:
    data_dir = write_imdb(tmp_path).parent
    texts = load_texts("imdb", TextSettings(), data_dir, tmp_path / "cache")
    corpus = load_corpus("imdb", TextSettings(), data_dir, tmp_path / "cache")
    assert corpus.labels == ("neg", "pos")
    for part, split in corpus.parts.items():
        assert texts[part].labels == split.labels.tolist()
        for text, label in zip(texts[part].texts, split.labels, strict=True):
            assert text.startswith("test" if part == "test" else "train")
            assert text.endswith({"neg": "awful", "pos": "great"}[corpus.labels[label]])


def test_changed_review_of_the_same_size_is_read_again(tmp_path: Path) -> None:
    root = write_imdb(tmp_path)
    first = load_corpus("imdb", TextSettings(), tmp_path, tmp_path / "cache")
    review = root / "test" / "neg" / "0_2.txt"
    size, time = review.stat().st_size, review.stat().st_mtime_ns
    review.write_text(review.read_text().replace("awful", "great"))
    os.utime(review, ns=(time, time + 1))
    assert review.stat().st_size == size
    again = load_corpus("imdb", TextSettings(), tmp_path, tmp_path / "cache")
    assert again.fingerprint != first.fingerprint
    review.write_text(review.read_text() + " great")
    os.utime(review, ns=(time, time + 1))
    longer = load_corpus("imdb", TextSettings(), tmp_path, tmp_path / "cache")
    assert longer.fingerprint not in (first.fingerprint, again.fingerprint)


def test_clue_files_of_another_corpus_are_not_taken(tmp_path: Path) -> None:
    write_clue("iflytek", tmp_path)
    with pytest.raises(UserError, match="tnews is not there"):
        load_corpus("tnews", TextSettings(), tmp_path / "iflytek_public", tmp_path / "cache")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '"9","title","text"',
            r"train.csv, line 61: label '9' is unknown; the card of ag_news has 1, 2, 3, 4",
        ),
        ('"1","title"', r"train.csv, line 61: 2 columns; expected class, title and description"),
        ('"1","title","cut', r"train.csv, line 61: broken csv"),
    ],
)
def test_wrong_line_of_a_csv(line: str, message: str, tmp_path: Path) -> None:
    with (write_ag_news(tmp_path) / "train.csv").open("a") as stream:
        stream.write(line)
    with pytest.raises(UserError, match=message):
        load_corpus("ag_news", TextSettings(), tmp_path, tmp_path / "cache")


def test_wrong_line_of_clue(tmp_path: Path) -> None:
    with (write_clue("tnews", tmp_path) / "dev.json").open("a") as stream:
        stream.write('{"sentence": "x", "label": "105"}\n')
    with pytest.raises(
        UserError, match=r"dev.json, line 61: label '105' is unknown; the card of tnews has 100"
    ):
        load_corpus("tnews", TextSettings(), tmp_path, tmp_path / "cache")


def test_review_that_is_not_utf8(tmp_path: Path) -> None:
    (write_imdb(tmp_path) / "train" / "neg" / "5_2.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match=r"5_2.txt: byte 4 is not UTF-8"):
        load_corpus("imdb", TextSettings(), tmp_path, tmp_path / "cache")


def tar_of(archive: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return archive


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 3, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size if kind == tarfile.REGTYPE else 0, link
    return info


@pytest.mark.parametrize(
    "bad",
    [
        member("../outside.txt"),
        member("a/../../outside.txt"),
        member("/outside.txt"),
        member("a\\..\\outside.txt"),
        member("C:outside.txt"),
        member("link.txt", tarfile.SYMTYPE, link="/etc/passwd"),
        member("hard.txt", tarfile.LNKTYPE, link="fine.txt"),
        member("pipe.txt", tarfile.FIFOTYPE),
    ],
    ids=lambda info: info.name,
)
def test_unsafe_tar_is_refused_and_leaves_nothing(bad: tarfile.TarInfo, tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "bad.tar.gz", member("fine.txt"), bad)
    with pytest.raises(UserError, match="not unpacked"):
        unpack(archive, tmp_path / "deep" / "target", lambda path: True)
    assert list((tmp_path / "deep").iterdir()) == []
    assert not (tmp_path / "outside.txt").exists()


def test_unsafe_zip_is_refused(tmp_path: Path) -> None:
    for number, (name, mode) in enumerate([("../outside.txt", 0), ("link.txt", stat.S_IFLNK | 0o777)]):
        archive = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(archive, "w") as whole:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            whole.writestr(info, "/etc/passwd")
        with pytest.raises(UserError, match="not unpacked"):
            unpack(archive, tmp_path / "target", lambda path: True)


def test_archive_bombs_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = tar_of(tmp_path / "big.tar.gz", member("zeros.txt", size=5_000_000))
    assert big.stat().st_size < 50_000
    monkeypatch.setattr("zoo.text.sources.unpack.MOST_BYTES", 1_000_000)
    with pytest.raises(UserError, match="1,000,000 bytes"):
        unpack(big, tmp_path / "target", lambda path: True)
    parts = tar_of(tmp_path / "parts.tar.gz", *(member(f"{i}.txt", size=300_000) for i in range(4)))
    with pytest.raises(UserError, match="1,000,000 bytes"):
        unpack(parts, tmp_path / "target", lambda path: True)
    unpack(parts, tmp_path / "three", lambda path: path.name != "3.txt")
    monkeypatch.setattr("zoo.text.sources.unpack.MOST_FILES", 2)
    for size in (3, 0):
        many = tar_of(tmp_path / "many.tar.gz", *(member(f"{i}.txt", size=size) for i in range(3)))
        with pytest.raises(UserError, match="more than 2 files"):
            unpack(many, tmp_path / "target", lambda path: True)
    assert not (tmp_path / "target").exists()


def test_broken_archives(tmp_path: Path) -> None:
    root = write_clue("tnews", tmp_path / "made")
    whole = pack(root, tmp_path / "whole.zip").read_bytes()
    tar = pack(root, tmp_path / "whole.tar.gz").read_bytes()
    for name, content in {
        "a.zip": whole[:-30],
        "b.zip": b"no zip",
        "c.tar.gz": tar[:-99],
        "d.tar.gz": b"x",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="broken archive"):
            unpack(tmp_path / name, tmp_path / "target", lambda path: True)
    twice = tar_of(tmp_path / "twice.tar.gz", member("a.txt"), member("a.txt"))
    with pytest.raises(UserError, match=r"holds a.txt twice"):
        unpack(twice, tmp_path / "target", lambda path: True)
    with pytest.raises(UserError, match="none of the expected files"):
        unpack(tmp_path / "whole.zip", tmp_path / "target", lambda path: False)
