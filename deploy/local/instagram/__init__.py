"""A fake Instagram: what the unmodified aiograpi client needs to log in, read and write.

The client reaches it with `Client(proxy=fake_instagram.proxy_url,
tls_verify=str(fake_instagram.ca_path))` and nothing else: a CONNECT proxy maps Instagram's host
names to a TLS 1.3 server that speaks HTTP/2.
"""
