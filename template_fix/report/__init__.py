"""Reports the results of commands: as text for people, as JSON, SARIF and HTML."""
