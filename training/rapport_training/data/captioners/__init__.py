"""Writers of user profiles: from a face's picture and visual attributes to one paragraph (paper, Section III-A1)."""
