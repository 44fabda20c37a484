"""What all reports share: figures over several seeds, Markdown tables, plots and the page that holds them."""
