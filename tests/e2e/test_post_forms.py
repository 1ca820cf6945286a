from bleepstore.testing.s3.areas.post_forms import *
