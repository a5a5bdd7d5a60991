"""Tags of the workspace templates."""
