"""One module a store. Stores do not know each other, kinds or actions."""
