"""The subcommands of ``kedro ratoon``, one module each."""
