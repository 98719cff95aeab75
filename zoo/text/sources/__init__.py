"""Where labelled rows come from: known corpora by their cards, and files and folders of the user's own."""
