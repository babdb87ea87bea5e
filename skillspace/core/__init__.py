"""The one library under every face: rules, data, tasks and engines."""
