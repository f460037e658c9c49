"""What an activity changes in place: seen, recorded with its outcome, applied again in replay."""
