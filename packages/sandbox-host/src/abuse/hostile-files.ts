/** Files that are not what they seem, and archives with them: made and unpacked by the workload's own tools. @module */

/** Writes `hostile.tar`, `hostile.zip` and `bomb.zip` into the working directory. @param outside an absolute path of the host. */
export const makeHostileArchives = (outside: string): string => `python3 - <<'PYTHON'
import io, os, stat, tarfile, zipfile
outside = ${JSON.stringify(outside)}
def entry(archive, name, content=b"hostile", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content) if fields.get("type", tarfile.REGTYPE) == tarfile.REGTYPE else 0
    for key, value in fields.items(): setattr(info, key, value)
    archive.addfile(info, io.BytesIO(content))
with tarfile.open("hostile.tar", "w") as archive:
    entry(archive, "../" * 12 + outside.lstrip("/") + "/climbed")
    entry(archive, outside + "/absolute")
    entry(archive, "link", type=tarfile.SYMTYPE, linkname=outside)
    entry(archive, "link/through")
    entry(archive, "hard", type=tarfile.LNKTYPE, linkname=outside + "/flag")
    entry(archive, "suid", mode=0o6755)
    entry(archive, "device", type=tarfile.BLKTYPE, devmajor=254, devminor=0)
    entry(archive, "fifo", type=tarfile.FIFOTYPE)
    entry(archive, "name\\nwith\\x1b[2Jcontrol")
with zipfile.ZipFile("hostile.zip", "w") as archive:
    archive.writestr("../" * 12 + outside.lstrip("/") + "/climbed-zip", "hostile")
    archive.writestr(outside + "/absolute-zip", "hostile")
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(link, outside)
    archive.writestr("link/through-zip", "hostile")
with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for number in range(20):
        with archive.open(f"bomb{number}", "w") as bomb:
            for part in range(64): bomb.write(bytes(1 << 20))
PYTHON
`;

/** Every tool that there is, told to trust the archive: it may fail, it may not get out. */
export const unpackHostileArchives = `
mkdir -p a b c d
tar -C a -P -xf hostile.tar
tar -C b -xf hostile.tar
python3 -c 'import tarfile; tarfile.open("hostile.tar").extractall("c", filter="fully_trusted")'
if command -v unzip > /dev/null; then unzip -q -o -: hostile.zip -d d; unzip -q -o bomb.zip -d d; fi
python3 -c 'import zipfile; zipfile.ZipFile("hostile.zip").extractall("d")'
true`;

/** Things at the names where a client would expect files. @param outside an absolute path of the host. */
export const makeSpecialFiles = (outside: string): string => `
ln -s ${outside}/flag link-to-file
ln -s ${outside} link-to-directory
ln -s loop loop
mkfifo fifo
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
ln -s /dev/zero endless
ln -s /proc/self/mem memory
truncate -s 100M sparse
`;
