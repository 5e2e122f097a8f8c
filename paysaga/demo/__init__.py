"""The demo: the little shop, the scripted purchases and the supervisor that runs all processes."""
