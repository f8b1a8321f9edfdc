"""What a self-contained page lets a browser do."""

import base64
import hashlib
import re


def policy(frame: str) -> str:
    """What a browser may run and fetch: the style and the script of the frame, and nothing else."""

    def hashed(tag: str) -> str:
        text = re.findall(f"<{tag}>(.*?)</{tag}>", frame, re.S)[0]
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    rest = "base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; style-src {hashed('style')}; script-src {hashed('script')}; {rest}"
