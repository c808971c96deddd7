"""The ports, and what their drivers promise. Actions know only these; kinds, stores and ciphers know only these too."""
