"""Management of crm."""
