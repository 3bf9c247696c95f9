"""Result files as a report: Markdown, and one page of HTML with charts."""
