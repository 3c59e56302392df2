"""The page of a shared dashboard: HTML and SVG without scripts, in which every text is escaped.

Charts stretch with their widget and their words do not: what is drawn is in an SVG without proportions of its own, and
its labels stand in others beside it. Colors are classes, which the page has for light and dark.
"""
