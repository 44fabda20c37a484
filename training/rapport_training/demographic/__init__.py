"""The face encoder: a CLIP-style dual encoder trained on faces and their captions."""
