"""An exFAT disk for a test: mount.exfat-fuse takes block devices only, so an image gets a loop device first."""
import contextlib
import subprocess


@contextlib.contextmanager
def exfat_device(image):
    """The loop device of a fresh exFAT image of 64 MiB."""
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.exfat", image], check=True, capture_output=True)
    device = subprocess.run(["losetup", "-f", "--show", image], check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "-d", device], capture_output=True)
