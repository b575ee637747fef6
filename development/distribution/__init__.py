"""``make dist``: build what is uploaded, check it, and try it as somebody who has nothing but the wheel."""
