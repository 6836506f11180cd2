#!/usr/bin/perl
# workload.pl - makes a file of realistic requests from texts that Debian packages install.
#
#   workload.pl --out FILE [--requests 2400] [--seed 1]
#
# One request a line in the form of Gemini's batch files:
#   {"key": "...", "request": {"contents": [...], "generationConfig": {"maxOutputTokens": n}}}
#
# Texts are real, because how many tokens a text has depends on what it is: prose in eight
# languages, source code, change logs, tables. Each is cut from a random place and put behind a
# task that fits it. Lengths are heavy-tailed, as prompts are: half are below 2,000 characters, one
# in a hundred is above 30,000, none above 40,000. The same packages and seed give the same file; that is
# why it reads no log of this machine.
use strict;
use warnings;
use Encode ();
use Getopt::Long;
use IO::Uncompress::Gunzip qw(gunzip $GunzipError);
use JSON::PP ();

my ($out, $requests, $seed) = (undef, 2400, 1);
GetOptions('out=s' => \$out, 'requests=i' => \$requests, 'seed=i' => \$seed)
  && defined $out && !@ARGV && $requests >= 1 && $requests <= 1_000_000
  or die "usage: workload.pl --out FILE [--requests 1..1000000] [--seed N]\n";
srand $seed;    # perl has its own generator, the same on every machine

my ($LENGTH_MIN, $LENGTH_MEDIAN, $LENGTH_MAX, $LENGTH_SIGMA) = (200, 1800, 40_000, 1.25);
my $STOCK_MAX = 1_200_000;    # characters kept of one source: enough for its share

# A task: its name, the sentence before the text, and the output tokens that it may use, as a share
# of the text's characters with a floor and a ceiling.
my %tasks = (
  prose => [
    ['summarise', 'Summarise the following text in three sentences.', 0, 160, 160],
    ['points', 'List the five most important points of the following text.', 0, 320, 320],
    ['translate', 'Translate the following text into English. Keep the formatting.', 0.4, 64, 8192],
    ['questions', 'Write ten questions with answers that test whether somebody understood this text.',
      0, 1024, 1024],
    ['keywords', 'Give at most eight keywords for the following text, as a JSON array of strings.',
      0, 64, 64],
    ['rewrite', 'Rewrite the following text for readers without technical knowledge.',
      0.3, 128, 4096],
  ],
  code => [
    ['bug', 'Find the bug in the following code. If there is none, say so.', 0, 768, 768],
    ['explain', 'Explain what the following code does, function by function.', 0.1, 256, 2048],
    ['tests', 'Write unit tests for the following code.', 0.3, 512, 4096],
    ['review', 'Review this change as a senior engineer; one line a finding.', 0, 640, 640],
  ],
  log => [
    ['regression', 'Which of these changes could break a program that uses the package, and why?',
      0, 512, 512],
    ['security', 'List every entry that fixes a security problem, with its identifier.', 0, 384, 384],
  ],
  table => [
    ['extract', 'Turn the following table into JSON lines.', 0.5, 256, 8192],
    ['check', 'Are there gaps or duplicates in this table? Name them.', 0, 256, 256],
  ],
);

# Kind, name, share of the requests, and where the text is: packages and a pattern of their files.
my @sources = (
  ['prose', 'en', 16, ['debian-reference-en'], qr{\.en\.txt\.gz$}],
  ['prose', 'de', 8, ['debian-reference-de'], qr{\.de\.txt\.gz$}],
  ['prose', 'es', 8, ['debian-reference-es'], qr{\.es\.txt\.gz$}],
  ['prose', 'fr', 8, ['debian-reference-fr'], qr{\.fr\.txt\.gz$}],
  ['prose', 'ja', 9, ['debian-reference-ja'], qr{\.ja\.txt\.gz$}],
  ['prose', 'zh', 9, ['debian-reference-zh-cn'], qr{\.zh-cn\.txt\.gz$}],
  ['prose', 'ru', 4, ['debian-faq-ru'], qr{\.ru\.txt\.gz$}],
  ['prose', 'ko', 3, ['debian-faq-ko'], qr{\.ko\.txt\.gz$}],
  ['code', 'c', 7, [qw(libc6-dev linux-libc-dev libczmq-dev libuv1-dev libzmq3-dev)], qr{\.h$}],
  ['code', 'c++', 5, ['libstdc++-*-dev'], qr{/(bits|ext|debug|tr1|experimental)/[^/]+\.(h|tcc)$}],
  ['code', 'perl', 6, ['perl-modules-*'], qr{/perl/[^/]+/(?!unicore|pod).*\.p[ml]$}],
  ['code', 'python', 5, ['libpython3*-stdlib'], qr{\.py$}],
  ['code', 'cmake', 4, ['cmake-data'], qr{/Modules/[^/]+\.cmake$}],
  ['log', 'changes', 5, [qw(libuv1 libcurl4 libzmq5 perl curl python3.11 libpython3.11-stdlib)],
    qr{/(changelog|NEWS)\.gz$}],
  ['table', 'table', 3, [qw(perl-modules-* tzdata)],
    qr{/unicore/[A-Z]\w+\.txt$|/zoneinfo/(tzdata\.zi|zone1970\.tab|iso3166\.tab)$}],
);

# The text of one file, or undef when it is no UTF-8 text of a useful size.
sub text_of {
  my ($path) = @_;
  return undef if !-f $path || -s _ < 1500 || -s _ > 4_000_000;
  my $bytes;
  if ($path =~ /\.gz$/) {
    gunzip($path => \$bytes) or die "workload: $path: $GunzipError\n";
  } else {
    open my $in, '<:raw', $path or die "workload: $path: $!\n";
    local $/;
    $bytes = <$in>;
  }
  my $text = eval { Encode::decode('UTF-8', $bytes, Encode::FB_CROAK) } // return undef;
  # No control characters but the newline and the tab: they are typography of another age.
  $text =~ s/\r\n?|\f/\n/g;
  $text =~ s/[^\P{Cc}\n\t]//g;
  return $text;
}

# The stock of one source: its files in a seeded order, until there is enough.
sub stock_of {
  my ($name, $packages, $pattern) = @_;
  open my $list, '-|', 'sh', '-c', 'dpkg-query --listfiles "$@" 2>/dev/null', 'sh',
    packages_like(@$packages)
    or die "workload: dpkg-query: $!\n";
  my %seen;
  my @files = sort grep { chomp; $_ =~ $pattern && !$seen{$_}++ } <$list>;
  close $list;    # names of packages that are not installed make it fail: the rest is what counts
  my ($stock, $length) = ('', 0);
  while (@files && $length < $STOCK_MAX) {
    my $text = text_of(splice @files, int rand @files, 1) // next;
    $stock .= "$text\n";
    $length += length $text;
  }
  if ($length < 2 * $LENGTH_MAX) {
    die "workload: only $length characters of '$name' in packages @$packages: run ./dev setup "
      . "(an image without /usr/share/doc needs them installed anew)\n";
  }
  return $stock;
}

sub packages_like {
  my @patterns = @_;
  open my $list, '-|', 'dpkg-query', '--show', '--showformat', '${db:Status-Abbrev}${binary:Package}\n'
    or die "workload: dpkg-query: $!\n";
  my @installed = map { /^ii\s+(\S+)/ ? $1 : () } <$list>;
  close $list or die "workload: dpkg-query failed\n";
  my @regexes = map { my $r = quotemeta; $r =~ s/\\\*/.*/g; qr/^$r(:|$)/ } @patterns;
  return sort grep { my $p = $_; grep { $p =~ $_ } @regexes } @installed;
}

# A normal deviate (Box and Muller).
sub normal {
  return sqrt(-2 * log(1 - rand)) * cos(8 * atan2(1, 1) * rand);
}

sub clamp {
  my ($value, $min, $max) = @_;
  return int($value < $min ? $min : $value > $max ? $max : $value);
}

# About |length| characters from a random place, from the start of a line to the end of one where
# lines are short enough for that.
sub cut {
  my ($stock, $length) = @_;
  my $begin = int rand(length($$stock) - $length);
  my $line = index $$stock, "\n", $begin;
  $begin = $line + 1 if $line >= 0 && $line - $begin < 400 && $line + 1 + $length <= length $$stock;
  my $text = substr $$stock, $begin, $length;
  my $end = rindex $text, "\n";
  $text = substr $text, 0, $end if $end > 0.8 * $length && $end >= $LENGTH_MIN;
  return $text;
}

my %stock = map { $_->[1] => stock_of(@$_[1, 3, 4]) } @sources;
my $shares = 0;
$shares += $_->[2] for @sources;
my $json = JSON::PP->new->canonical->utf8;
my (%statistics, @lengths);

open my $file, '>:raw', "$out.tmp" or die "workload: $out.tmp: $!\n";
for my $number (1 .. $requests) {
  my $draw = rand $shares;
  my $source;
  for (@sources) { $source = $_; last if ($draw -= $_->[2]) < 0; }
  my ($kind, $name) = @$source;
  my $length = clamp($LENGTH_MEDIAN * exp($LENGTH_SIGMA * normal()), $LENGTH_MIN, $LENGTH_MAX);
  my $text = cut(\$stock{$name}, $length);
  my @choice = grep { $name ne 'en' || $_->[0] ne 'translate' } @{$tasks{$kind}};
  my ($task, $sentence, $share, $floor, $ceiling) = @{$choice[rand @choice]};

  print $file $json->encode({
    key => sprintf('%05d-%s-%s', $number, $name, $task),
    request => {
      contents => [{ role => 'user', parts => [{ text => "$sentence\n\n$text" }] }],
      generationConfig => { maxOutputTokens => clamp($share * length $text, $floor, $ceiling) },
    },
  }), "\n" or die "workload: $out.tmp: $!\n";

  push @lengths, length $text;
  $statistics{$name}{requests}++;
  $statistics{$name}{characters} += length $text;
  $statistics{$name}{bytes} += length Encode::encode_utf8($text);
}
close $file or die "workload: $out.tmp: $!\n";
rename "$out.tmp", $out or die "workload: $out: $!\n";

my %total;
printf "%-8s %-8s %9s %12s %12s\n", 'kind', 'text', 'requests', 'characters', 'bytes';
for my $source (@sources) {
  my $row = $statistics{$source->[1]} // next;
  printf "%-8s %-8s %9d %12d %12d\n", @$source[0, 1], @$row{qw(requests characters bytes)};
  $total{$_} += $row->{$_} for keys %$row;
}
printf "%-8s %-8s %9d %12d %12d\n", 'all', '', @total{qw(requests characters bytes)};
@lengths = sort { $a <=> $b } @lengths;
printf "characters of a text: median %d, 90 %% below %d, 99 %% below %d, longest %d\n",
  map { $lengths[$_ * $#lengths] } 0.5, 0.9, 0.99, 1;
print "$out\n";
