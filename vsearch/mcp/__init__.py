"""A server of the Model Context Protocol over standard input and output: language models search the library.

tools.py has the tools, server.py serves them with the `mcp` library (extra `mcp`).
"""
