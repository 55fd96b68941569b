"""Copies of images from one image service to another one, which need not be Headwater.

An image keeps its id. It is created without visibility, protection and the mark of hidden ones, gets its data, is
verified, and is what the source's is only then: nobody sees or boots half of it. What a run has come to lies in a
notebook on the machine that runs it (``headwater.client.uploading``); no data go to an image that no notebook knows.
"""
