"""Rebuild the method: twelve small files with empty bodies, graded by the reference's own properties.

    python -m uegr_ref.learn start my_uegr/          write the files; with --language zh in Chinese
    python -m uegr_ref.learn check my_uegr/ [STEP]   grade them
    python -m uegr_ref.learn hint my_uegr/ STEP      the next hint

An exercise is the reference's own source without its body (`exercises`); the grader runs the properties that
the reference's tests run (`properties`), in a child process with a time limit (`child`).
"""
