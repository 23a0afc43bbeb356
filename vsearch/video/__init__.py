"""Reading video files, for the index and for clips: containers, clocks, times of frames, colours, orientation."""
