"""Recordings to a profile, a profile to speech. Knows nothing of mail, style or the home."""
