"""A fake Instagram with all that the unmodified aiograpi client needs to log in, read and write.

The client connects with `Client(proxy=fake_instagram.proxy_url,
tls_verify=str(fake_instagram.ca_path))` alone: a CONNECT proxy maps Instagram's host names to a
TLS 1.3 server that speaks HTTP/2.
"""
