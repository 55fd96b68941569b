"""Feeds over HTTP: who may read which, and in what form it is sent; and the sources of images."""
