#!/bin/sh
# Makes the Debian package from a built program: packaging/deb.sh PROGRAM DIRECTORY. Needs dpkg-deb, and no root.
set -eu
program=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
version=$("$program" version | cut -d ' ' -f 2)
architecture=$(dpkg --print-architecture)
root=$out/deb
rm -rf "$root"
install -d -m 0755 "$root/DEBIAN" "$root/usr/bin" "$root/usr/lib/systemd/system" "$root/usr/share/doc/doorward/guides"
install -m 0755 "$program" "$root/usr/bin/doorward"
install -m 0644 "$here/doorward.service" "$root/usr/lib/systemd/system/doorward.service"
install -m 0644 "$here/debian/copyright" "$top/LICENSE-MIT" "$top/LICENSE-APACHE" "$top/README.md" "$top/docs/operations.md" \
    "$root/usr/share/doc/doorward/"
gzip -9nc "$top/CHANGELOG.md" > "$root/usr/share/doc/doorward/changelog.gz"
chmod 0644 "$root/usr/share/doc/doorward/changelog.gz"
install -m 0644 "$top"/docs/guides/*.md "$root/usr/share/doc/doorward/guides/"
for script in postinst prerm postrm; do
    install -m 0755 "$here/debian/$script" "$root/DEBIAN/$script"
done
# What the program was linked against says the least C library that it runs with.
libc=$(objdump -T "$program" 2>/dev/null | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | cut -d _ -f 2)
cat > "$root/DEBIAN/control" <<END
Package: doorward
Version: $version
Section: net
Priority: optional
Architecture: $architecture
Depends: adduser, libc6 (>= ${libc:-2.31}), ca-certificates
Maintainer: The Doorward authors <doorward@localhost>
Installed-Size: $(du -sk "$root/usr" | cut -f 1)
Description: identity server that speaks Auth0's wire protocols
 OAuth 2, OpenID Connect, the Management API and hosted sign-in pages in one
 program, with an embedded database or PostgreSQL.
END
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
package=$out/doorward_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$root" "$package" >/dev/null
rm -rf "$root"
echo "$package"
