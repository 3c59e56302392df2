"""Routes about duoscope itself."""
