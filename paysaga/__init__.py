"""What the rooms share: settings, the domain, the database, the simulator and the demo."""
