#!/bin/sh
# Creates a minimal root file system with the given programs, and with /opt/isthmus if it exists: rootfs.sh TARGET PROGRAM...
set -eu
target=$1
shift
for folder in bin sbin lib lib64; do
	mkdir -p "$target/usr/$folder"
	ln -s "usr/$folder" "$target/$folder"
done
mkdir -p "$target/opt" "$target/etc" "$target/proc" "$target/sys" "$target/dev" "$target/run"
mkdir -m 1777 "$target/tmp"

# copy FILE: copies a file and follows links.
copy() {
	mkdir -p "$target$(dirname "$1")"
	cp -L "$1" "$target$1"
}

# libraries FILE...: prints the paths of the shared libraries that they are linked with, including the loader.
libraries() { ldd "$@" | grep -o '/[^ :]*\.so[^ :]*' | sort -u; }

for program; do
	# "which" finds the file also for shell built-ins such as "test".
	found=$(which "$program")
	cp -L "$found" "$target/usr/bin/$program"
	libraries "$found" | while read -r library; do copy "$library"; done
done
if [ -d /opt/isthmus ]; then
	find /opt/isthmus -name '*.node' | while read -r addon; do
		libraries "$addon" | while read -r library; do copy "$library"; done
	done
	cp -R /opt/isthmus "$target/opt/isthmus"
fi
printf 'root:x:0:0::/:/bin/sh\nnonroot:x:65532:65532::/:/bin/sh\n' >"$target/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$target/etc/group"
printf 'hosts: files dns\n' >"$target/etc/nsswitch.conf"
