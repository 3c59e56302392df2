"""Routes of dashboards: themselves, their versions, and their documents in and out."""
