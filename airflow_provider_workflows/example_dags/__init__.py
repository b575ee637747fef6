"""Examples, each of which is green when its Trigger button is pressed: copy the files, with the folder ``data``.

``dags`` in a checkout is a link to this folder.
"""
