"""What kill -9 cannot show: the page cache survives a process, not a power cut."""
