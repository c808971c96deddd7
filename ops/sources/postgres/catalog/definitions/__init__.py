"""How every object is defined, as the server prints it."""
