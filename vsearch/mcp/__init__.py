"""The library for language models: a server of the Model Context Protocol over standard input and output.

tools.py says what can be asked and answers it; server.py puts that on the wire with the `mcp` library (extra `mcp`).
"""
