"""The packages in plugins/."""
