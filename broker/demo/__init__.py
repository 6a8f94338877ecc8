"""The main job on one machine: synthetic results, real sockets and files, a stand-in for NHI."""
