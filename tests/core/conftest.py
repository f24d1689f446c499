from hypothesis import settings

# A busy machine is slow, not wrong: no deadline for a single example.
settings.register_profile("core", deadline=None)
settings.load_profile("core")
