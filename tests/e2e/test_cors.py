from bleepstore.testing.s3.areas.cors import *
