"""All kinds of questions."""

from duoscope.telemetry.questions.formula import FormulaQuestion, Simple

Question = Simple | FormulaQuestion
"""What a rule may watch; `kind` tells which it is. A new kind joins here."""
