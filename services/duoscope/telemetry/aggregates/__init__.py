"""Items counted and measured, by fields and by time. Nothing here knows a signal but by its view and its fields."""
