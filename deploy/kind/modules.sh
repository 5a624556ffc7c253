#!/bin/sh
# Copies the files that are needed at run time from a built checkout with only the modules of the two processes: modules.sh TARGET
set -eu
target=$1
mkdir -p "$target/bpf"
cp -R package.json node_modules "$target/"
# The installed workspaces are links in node_modules; each is copied with its build output.
for link in node_modules/@isthmus/*; do
	folder=$(cd "$link" && pwd -P)
	path=${folder#"$PWD"/}
	mkdir -p "$target/$path"
	for part in package.json dist build native/build; do
		[ ! -e "$folder/$part" ] || { mkdir -p "$target/$path/$(dirname "$part")" && cp -R "$folder/$part" "$target/$path/$part"; }
	done
done
cp -R bpf/build "$target/bpf/build"
mkdir -p "$target/apps/cni" && cp -R apps/cni/build "$target/apps/cni/build"
cd "$target"
find . -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' -o -name '*.md' -o -name '*.tsbuildinfo' -o -name '*.test.js' \) -delete
find libs apps -type f \( -name '*.ts' -o -name '*.o.d' \) -delete
find libs apps -type d -name testing -prune -exec rm -rf {} +
rm -rf node_modules/.bin node_modules/.package-lock.json libs/bpf/native/build/Release/obj.target bpf/build/*_test*
