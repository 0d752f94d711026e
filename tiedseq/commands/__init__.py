"""The subcommands of the command line: their options, and what they do. Errors are the caller's to catch."""
