# docs/generate.awk - one header as a section of the manual: awk -f docs/generate.awk HEADER... pass=2 HEADER
#
# The first headers tell which functions there are. A comment belongs to what follows it without an empty line between:
# to one declaration, or to several. Exits 1, and says why, if a function has none.

function trim(s) { gsub(/[ \t]+/, " ", s); sub(/^ /, "", s); sub(/ $/, "", s); return s }
function bare(s) { sub(/\*\/.*/, "", s); sub(/^[ \t]*\/?\*/, "", s); return trim(s) }
function function_in(s) { return match(s, /muster_[a-z0-9_]+\(/) ? substr(s, RSTART, RLENGTH - 1) : "" }

# ---- Text: a new line for each sentence, and a macro for each word that has one.

function end_line() { if (line != "") print (line ~ /^[.']/ ? "\\&" : "") line; line = "" }

function macro_for(word) {
	if (word in known) return "Fn"
	if (word ~ /^`.*`$/ || word ~ /^on_[a-z_]+$/) return "Fa"
	if (word ~ /^(-?E|MUSTER_E)[A-Z0-9]+$/) return "Er"
	return word ~ /^(NULL|MUSTER_[A-Z0-9_]+)$/ ? "Dv" : ""
}

function put_word(word,    core, before, after) {
	for (core = word; core ~ /^\(./; core = substr(core, 2)) before = before "( "
	for (; core ~ /.[.,:;)?!]$/; core = substr(core, 1, length(core) - 1)) after = " " substr(core, length(core)) after
	if (macro_for(core) != "") {
		end_line()
		line = "." macro_for(core) " " before core after
		gsub(/`/, "", line); sub(/ -/, " \\-", line)
		print line
		line = ""
		return
	}
	gsub(/\\/, "\\e", word); gsub(/`/, "", word); sub(/^-/, "\\-", word)
	if (length(line word) > 76) end_line()
	line = line (line != "" ? " " : "") word
	if (word ~ /[^.][.!?][")]*$/) end_line()
}

function put_text(text,    i, n, words) {
	n = split(text, words, " ")
	for (i = 1; i <= n; i++) put_word(words[i])
	end_line()
}

# ---- Entries of a list: a function, or a type and its members.

function list(wanted) { if (wanted != listing) print ((listing = wanted) ? ".Bl -tag -width Ds" : ".El") }

function put_function(decl, name,    i, c, depth, type, argument) {
	i = index(decl, name "(")
	type = trim(substr(decl, 1, i - 1))
	print ".It Xo\n.Ft " (type ~ /\*$/ ? "\"" type "\" Ns Fo " : type "\n.Fo ") name
	decl = substr(decl, i + length(name) + 1)
	for (i = depth = 1; depth > 0; i++) {
		c = substr(decl, i, 1)
		depth += (c == "(") - (c == ")")
		if (depth == 0 || (depth == 1 && c == ",")) {
			print ".Fa \"" trim(argument) "\""
			argument = ""
		} else argument = argument c
	}
	print ".Fc\n.Xc"
}

function put_member(decl,    name) {
	if (kind == "codes") { print ".It Er " decl; return }
	if (kind == "enum") { sub(/ = /, " No = ", decl); print ".It Dv " decl; return }
	if (match(decl, /\(\*[a-z_]+\)/)) { put_function(decl, substr(decl, RSTART, RLENGTH)); return }
	name = decl
	sub(/.*[ *]/, "", name)
	decl = trim(substr(decl, 1, length(decl) - length(name)))
	print ".It Vt \"" decl "\"" (decl ~ /\*$/ ? " Ns" : "") " Fa " name
}

function put_type(    i) {
	list(1)
	print ".It " head
	put_text(doc)
	if (members) print (doc != "" ? ".Pp\n" : "") ".Bl -tag -width Ds -compact"
	for (i = 1; i <= members; i++) { put_member(member[i]); put_text(about[i]) }
	if (members) print ".El"
	members = 0
	doc = kind = ""
}

# The functions that share a comment. Beside x_sized there is x, which passes the size.
function end_group(    i, plain) {
	for (i = 1; i <= grouped; i++) {
		list(1)
		plain = function_in(group[i])
		if (sub(/_sized$/, "", plain) && plain in inlines) put_function(inlines[plain], plain)
		put_function(group[i], function_in(group[i]))
	}
	if (grouped) { put_text(doc); doc = "" }
	grouped = 0
}

# ---- First all headers: what is called by name, and the forms without _sized.

pass != 2 && /^(MUSTER_API|static inline) / { decl = ""; open = 1 }
pass != 2 && open {
	decl = decl " " $0
	if (!/;|^\{/) next
	open = 0
	known[function_in(decl)]
	sub(/ \{.*/, "", decl)
	if (sub(/^ static inline /, "", decl)) inlines[function_in(decl)] = decl
	decl = ""
}
pass != 2 { next }

# ---- Then the one header.

FNR == 1 {
	text = bare($0)
	sub(/^[^ ]* - /, "", text)
	print ".In muster/" substr(FILENAME, match(FILENAME, /[^\/]*$/)) "\n.Pp"
	put_text(toupper(substr(text, 1, 1)) substr(text, 2))
	next
}
commenting { doc = doc " " bare($0); commenting = !/\*\//; next }

# The lines of a struct, an enum, or a map of codes. Members of a union are called as they are used: handle.fd.
kind == "codes" {
	split($0, part, /[(,]/)
	member[++members] = "MUSTER_E" part[2]
	about[members] = substr($0, match($0, /".*"/) + 1, RLENGTH - 2)
	if (!/\\$/) put_type()
	next
}
kind != "" && /^#/ { kind = "made" } # of such a map
kind == "made" { if (/^}/) kind = ""; next }
kind != "" && held != "" { sub(/^[ \t]*\*( |$)/, ""); $0 = held " " $0; held = "" }
kind != "" && /\/\*/ && !/\*\// { held = $0; next }
kind != "" && /^}/ { put_type(); next }
kind != "" && /^\tunion \{/ { first = members + 1; next }
kind != "" && sub(/^\t} /, "") {
	for (i = first; i <= members; i++) sub(/[a-z]+$/, trim(substr($0, 1, length($0) - 1)) ".&", member[i])
	next
}
kind != "" {
	if (match($0, /\/\*.*/)) { above = trim(above " " bare(substr($0, RSTART))); $0 = substr($0, 1, RSTART - 1) }
	decl = trim(decl " " $0)
	if (decl !~ (kind == "enum" ? ",$" : ";$")) next
	member[++members] = substr(decl, 1, length(decl) - 1)
	about[members] = above
	decl = above = ""
	next
}

/^\/\*/ { end_group(); doc = bare($0); commenting = !/\*\//; next }
/^$/ { end_group(); if (doc != "") { list(0); print ".Pp"; put_text(doc); doc = "" } }
/^(struct|enum) [a-z_]+ \{/ { kind = $1; head = "Vt \"" $1 " " $2 "\"" }
/^struct [a-z_]+;/ && doc != "" { head = "Vt \"" substr($0, 1, length($0) - 1) "\""; put_type() }
/^#define [A-Z_]+\(/ && doc != "" { kind = "codes"; head = "Dv " $2; sub(/\(/, " Ns (", head) }
/^typedef .*\(\*/ { open = 1 }
/^MUSTER_API / {
	sub(/^MUSTER_API /, "")
	decl = ""
	open = 1
	if (doc == "") { print FILENAME ":" FNR ": " function_in($0) " has no comment above it" | "cat >&2"; bad = 1 }
}
open {
	if (match($0, /\/\*.*/)) { doc = doc " " bare(substr($0, RSTART)); $0 = substr($0, 1, RSTART - 1) }
	decl = trim(decl " " $0)
	if (decl !~ /;$/) next
	open = 0
	if (decl ~ /^typedef/) {
		list(1)
		put_function(decl, substr(decl, match(decl, /\(\*[a-z_]+\)/), RLENGTH))
		put_text(doc)
		doc = ""
	} else group[++grouped] = decl
	decl = ""
}
END { end_group(); list(0); exit bad }
