"""The paper's Tables 2 to 6 and its Figures 5 and 6 on a log of one's own: suites, jobs, results, the report."""
