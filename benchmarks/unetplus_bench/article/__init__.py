"""The article's tables, figures and claims, beside what its networks come to here."""
