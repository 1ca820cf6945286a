"""HTTP: the protocol class, the entry, and what a request says in its address, headers and body.

Authority: RFC 9110 and 9112, and https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonRequestHeaders.html
Order of a request: ``protocol`` (bytes, bounds) -> ``entry`` (one Exchange) -> pipeline -> ``entry``
(one Reply). ``address``, ``headers``, ``ranges`` and ``conditions`` are functions of what was sent.
"""
