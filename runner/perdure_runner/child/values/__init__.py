"""Values and exceptions as the journal keeps them: encoding, digests, previews."""
