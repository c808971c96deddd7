"""One module or package a kind. Kinds do not know each other, stores or actions."""
