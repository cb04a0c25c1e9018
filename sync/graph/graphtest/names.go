package graphtest

import (
	"math/rand/v2"
	"strings"
	"unicode"
)

// culture is a pool of personal names. A name is written as it is shown; where
// that is not the Latin alphabet, or where the usual Latin spelling is not
// just the letters without their marks, "=" and the Latin spelling follow.
type culture struct {
	weight      int // how often it occurs
	language    string
	familyFirst bool // in the display name
	given       []string
	family      []string
}

// cultures are common names of several parts of the world.
var cultures = []culture{
	{20, "en-US", false,
		split("Olivia Ethan Madison Tyler Hannah Marcus Brianna Caleb Jasmine Derek Alexis Logan Paige Trevor Savannah Wyatt Naomi Curtis Heather Dwayne Mary-Ann Beth Carl Douglas"),
		split("Anderson Brooks Carter Daniels Ellison Foster Griffin Hughes Jennings Kimball Lawson Mitchell Norris Palmer Quinn Reynolds Sanders Thornton Underwood Vaughn Whitaker York Hawthorne Pruitt")},
	{12, "en-GB", false,
		split("Alistair Bronwen Callum Deirdre Eleanor Fergus Gemma Hamish Imogen Jack Kirsty Liam Morag Niamh Oisín Poppy Rhys Siobhán Tamsin Rory Zara Aoife Gareth Harriet"),
		split("Ashworth Blackwood Cartwright Davies Evans Fairclough Gallagher Hargreaves Jones Kilpatrick Llewellyn MacDonald O'Brien O'Sullivan Pemberton Quigley Rutherford Sinclair Thistlewood Winterbourne O'Dálaigh McAllister Smythe Fitzgerald")},
	{10, "de-DE", false,
		split("Jürgen=Juergen Käthe=Kaethe Lukas Annegret Björn=Bjoern Heike Matthias Ulrike Sören=Soeren Birgit Torsten Gisela Florian Anneliese Günther=Guenther Steffi Wolfgang Mareike Jörg=Joerg Hannelore Anton Lea-Marie Moritz Sabine"),
		split("Müller=Mueller Schäfer=Schaefer Weiß=Weiss Krüger=Krueger Hoffmann Zimmermann Köhler=Koehler Vogel Brandt Dietrich Groß=Gross Lindner Jäger=Jaeger Pfeiffer Sommer Böhm=Boehm Kaiser Straßburger=Strassburger Ziegler Kuhn Busch Engel Haas Winter")},
	{8, "fr-FR", false,
		split("Amélie Benoît Chloé Damien Élodie François Gaëlle Hugues Inès Jérôme Léa Mathéo Noémie Océane Pascal Raphaël Sylvie Théo Véronique Yves Zoé Maëlys Loïc Aurélie"),
		split("Dubois Lefèvre Moreau Girard Bonnet Lambert Fontaine Rousseau Chevalier Gauthier Garnier Faure Mercier Blanchard Boyer Lemaître Noël Perrin Renaud Besançon Delacroix Huët Bérénger Charpentier")},
	{8, "es-ES", false,
		split("Alejandro Begoña Carmen Diego Íñigo Esperanza Fernando Guadalupe Hernán Inmaculada Joaquín Lucía Martín Nuria Óscar Pilar Raúl Sofía Tomás Úrsula Verónica Ximena Ángel María-José"),
		split("García Fernández González Rodríguez López Martínez Sánchez Pérez Gómez Jiménez Ruiz Díaz Álvarez Muñoz Romero Navarro Domínguez Vázquez Ramos Núñez Ibáñez Peña Zúñiga Cañizares")},
	{5, "pt-BR", false,
		split("João Beatriz Caetano Débora Eduardo Fernanda Gonçalo Helena Inês Júlia Luís Mariana Nélson Patrícia Rogério Simão Tânia Vítor Thaís Cauã Otávio Luíza Murilo Renata"),
		split("Silva Santos Oliveira Souza Pereira Costa Carvalho Almeida Ribeiro Araújo Conceição Magalhães Guimarães Brandão Falcão Assunção Simões Peixoto Queirós Tavares Moura Leitão Vasconcelos Nóbrega")},
	{4, "it-IT", false,
		split("Alessandra Bruno Chiara Davide Elisabetta Federico Ginevra Ilaria Lorenzo Martina Niccolò Ornella Paolo Rosalba Stefano Tullio Umberto Viola Gabriele Letizia Nicolò Beatrice Dario Serena"),
		split("Rossi Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Conti Mancini Costa Giordano Rizzo Lombardi Moretti Barbieri Fontana Santoro Mariani D'Angelo De-Luca Caruso Galli")},
	{5, "pl-PL", false,
		split("Agnieszka Bartłomiej=Bartlomiej Czesław=Czeslaw Dorota Elżbieta Grzegorz Halina Ireneusz Jadwiga Krzysztof Łukasz=Lukasz Małgorzata=Malgorzata Paweł=Pawel Radosław=Radoslaw Stanisława=Stanislawa Tomasz Urszula Wojciech Zbigniew Żaneta Michał=Michal Róża Szymon Zofia"),
		split("Kowalczyk Wójcik Kamiński Lewandowski Zieliński Szymański Woźniak Dąbrowski Kozłowski=Kozlowski Jankowski Mazur Krawczyk Piotrowski Grabowski Nowakowska Pawłowska=Pawlowska Michalska Król=Krol Wieczorek Jabłońska=Jablonska Wróbel=Wrobel Majewski Olszewska Stępień")},
	{5, "sv-SE", false,
		split("Åsa Björn Cecilia Elin Göran Håkan Ingrid Jörgen Kerstin Lars Märta Nils Örjan Pernilla Ragnhild Sigrid Torbjörn Ulrika Viktor Ylva Søren=Soren Bjørn=Bjorn Åse Mikkel"),
		split("Andersson Bergström Dahl Ekström Forsberg Gustafsson Håkansson Isaksson Johansson Lindqvist Lundgren Nyström Öberg Pettersson Sjöberg Söderström Åkesson Østergaard=Ostergaard Kjærgaard=Kjaergaard Nørgaard=Norgaard Wiklund Ålund Hansen Virtanen")},
	{4, "tr-TR", false,
		split("Ayşe Barış Çağla Deniz Emre Fatma Gökhan Hülya İrem=Irem Kübra Mehmet Nurgül Onur Özge Pınar=Pinar Rıza=Riza Şebnem Tuğba Ufuk Yağmur Zeynep Şükrü Işıl=Isil Doğan"),
		split("Yılmaz=Yilmaz Kaya Demir Çelik Şahin Yıldız=Yildiz Öztürk Aydın=Aydin Özdemir Arslan Doğan Kılıç=Kilic Aslan Çetin Kara Koç Kurt Özkan Şimşek Polat Güneş Erdoğan Bulut Avcı=Avci")},
	{4, "vi-VN", true,
		split("Ánh Bình Cường Dũng Giang Hạnh Huyền Khánh Lan Minh Ngọc Phương Quỳnh Sơn Thảo Trang Tuấn Uyên Việt Xuân Yến Đức=Duc Đạt=Dat Hương"),
		split("Nguyễn Trần Lê Phạm Hoàng Huỳnh Phan Vũ Võ Đặng=Dang Bùi Đỗ=Do Hồ Ngô Dương Lý Đinh=Dinh Mai Trịnh Lâm Đoàn=Doan Tạ Cao Châu")},
	{7, "en-IN", false,
		split("Aarav Bhavna Chandrasekhar Deepika Esha Farhan Gayatri Harish Ishaan Jyoti Kavitha Lakshmi Manish Nandini Omkar Priyanka Rajesh Sunita Tanvi Uday Vikram Yashoda Zubin Anirudh"),
		split("Agarwal Banerjee Chatterjee Deshpande Fernandes Ghosh Iyer Joshi Krishnan Lal Mehta Nair Patel Qureshi Rao Sharma Trivedi Venkataraman Verma Wadhwa Yadav Subramaniam Kulkarni Bose")},
	{5, "ja-JP", true,
		split("陽子=Yoko 健太=Kenta 美咲=Misaki 大輔=Daisuke 直樹=Naoki さくら=Sakura 翔太=Shota 由美=Yumi 拓也=Takuya 恵=Megumi 亮=Ryo 千尋=Chihiro 誠=Makoto 葵=Aoi 修=Osamu 香織=Kaori 蓮=Ren 結衣=Yui 浩=Hiroshi 真理=Mari"),
		split("佐藤=Sato 鈴木=Suzuki 高橋=Takahashi 田中=Tanaka 渡辺=Watanabe 伊藤=Ito 山本=Yamamoto 中村=Nakamura 小林=Kobayashi 加藤=Kato 吉田=Yoshida 山田=Yamada 佐々木=Sasaki 松本=Matsumoto 井上=Inoue 木村=Kimura 林=Hayashi 清水=Shimizu 森=Mori 阿部=Abe")},
	{5, "zh-CN", true,
		split("伟=Wei 芳=Fang 秀英=Xiuying 敏=Min 静=Jing 强=Qiang 磊=Lei 洋=Yang 艳=Yan 勇=Yong 娟=Juan 涛=Tao 雪梅=Xuemei 建国=Jianguo 晓明=Xiaoming 丽华=Lihua 志强=Zhiqiang 玉兰=Yulan 子涵=Zihan 浩然=Haoran"),
		split("王=Wang 李=Li 张=Zhang 刘=Liu 陈=Chen 杨=Yang 赵=Zhao 黄=Huang 周=Zhou 吴=Wu 徐=Xu 孙=Sun 胡=Hu 朱=Zhu 高=Gao 林=Lin 何=He 郭=Guo 马=Ma 欧阳=Ouyang")},
	{3, "ko-KR", true,
		split("서연=Seoyeon 민준=Minjun 지우=Jiwoo 하은=Haeun 도윤=Doyun 수빈=Subin 예준=Yejun 지민=Jimin 현우=Hyunwoo 은지=Eunji 성호=Seongho 미경=Mikyung 재현=Jaehyun 소영=Soyoung 태민=Taemin 유나=Yuna"),
		split("김=Kim 이=Lee 박=Park 최=Choi 정=Jung 강=Kang 조=Cho 윤=Yoon 장=Jang 임=Lim 한=Han 오=Oh 서=Seo 신=Shin 권=Kwon 황=Hwang")},
	{4, "ar-EG", false,
		split("أحمد=Ahmed فاطمة=Fatima محمود=Mahmoud ليلى=Layla يوسف=Youssef مريم=Maryam خالد=Khaled نور=Nour عمر=Omar سلمى=Salma طارق=Tarek هدى=Huda زياد=Ziad رانيا=Rania كريم=Karim دينا=Dina"),
		split("المصري=El-Masry حسن=Hassan عبدالله=Abdallah الشريف=El-Sherif منصور=Mansour خليل=Khalil سليمان=Soliman فاروق=Farouk نجيب=Naguib حداد=Haddad صالح=Saleh زكي=Zaki عثمان=Osman رشيد=Rashid بكر=Bakr العلي=Al-Ali")},
	{4, "uk-UA", false,
		split("Олена=Olena Андрій=Andrii Катерина=Kateryna Дмитро=Dmytro Наталія=Nataliia Сергій=Serhii Ірина=Iryna Тарас=Taras Оксана=Oksana Богдан=Bohdan Людмила=Liudmyla Євген=Yevhen Юлія=Yuliia Микола=Mykola Ганна=Hanna Ярослав=Yaroslav"),
		split("Шевченко=Shevchenko Бондаренко=Bondarenko Коваленко=Kovalenko Ткаченко=Tkachenko Кравченко=Kravchenko Олійник=Oliinyk Мельник=Melnyk Поліщук=Polishchuk Лисенко=Lysenko Савченко=Savchenko Руденко=Rudenko Марченко=Marchenko Гончар=Honchar Іваненко=Ivanenko Мороз=Moroz Щербак=Shcherbak")},
	{3, "el-GR", false,
		split("Ελένη=Eleni Γιώργος=Giorgos Μαρία=Maria Δημήτρης=Dimitris Κατερίνα=Katerina Νίκος=Nikos Σοφία=Sofia Κώστας=Kostas Χρήστος=Christos Ιωάννα=Ioanna Θανάσης=Thanasis Βασιλική=Vasiliki"),
		split("Παπαδόπουλος=Papadopoulos Νικολάου=Nikolaou Γεωργίου=Georgiou Οικονόμου=Oikonomou Δημητρίου=Dimitriou Βλάχος=Vlachos Αντωνίου=Antoniou Μακρής=Makris Καραγιάννης=Karagiannis Ιωαννίδης=Ioannidis Σταύρου=Stavrou Κωνσταντίνου=Konstantinou")},
	{4, "en-NG", false,
		split("Adébáyò Chidinma Emeka Fúnmiláyò Ifeoma Kelechi Ngozi Olúwaṣeun Temitope Uchenna Yetunde Zainab Babatunde Chukwuemeka Amara Obinna Folake Tunde Nneka Sade"),
		split("Adeyemi Balogun Chukwu Eze Fashola Ibrahim Nwosu Obi Okafor Okonkwo Olawale Onyekachi Uzoma Yusuf Adichie Bello Danjuma Ekwueme Ọláìyá=Olaiya Lawal")},
	{3, "he-IL", false,
		split("נועה=Noa איתן=Eitan תמר=Tamar יונתן=Yonatan מיכל=Michal אורי=Uri שירה=Shira דניאל=Daniel יעל=Yael עומר=Omer הילה=Hila רועי=Roi"),
		split("כהן=Cohen לוי=Levi מזרחי=Mizrahi פרץ=Peretz ביטון=Biton דהן=Dahan אברהם=Avraham פרידמן=Friedman שפירא=Shapira אזולאי=Azoulay גבאי=Gabay בן־דוד=Ben-David")},
}

func split(s string) []string { return strings.Fields(s) }

// person is a generated name.
type person struct {
	given, family, display  string
	latinGiven, latinFamily string // plain ASCII, for addresses
	language                string
}

// newPerson draws a name. Pools hold some ten thousand pairs; a third of the
// people have a middle initial, or a double surname where that is the custom,
// so that big companies have few namesakes.
func newPerson(r *rand.Rand) person {
	c := &cultures[pick(r, cultureWeights)]
	given, latinGiven := spell(c.given[r.IntN(len(c.given))])
	family, latinFamily := spell(c.family[r.IntN(len(c.family))])
	p := person{given, family, "", ascii(latinGiven), ascii(latinFamily), c.language}
	switch {
	case c.familyFirst:
		p.display = family + " " + given
	case (c.language == "es-ES" || c.language == "pt-BR") && r.IntN(2) == 0:
		second, _ := spell(c.family[r.IntN(len(c.family))])
		p.family += " " + second
		p.display = given + " " + p.family
	case c.language == "en-US" && r.IntN(3) == 0:
		p.display = given + " " + string(rune('A'+r.IntN(26))) + ". " + family
	default:
		p.display = given + " " + family
	}
	return p
}

var cultureWeights = func() []int {
	var w []int
	for _, c := range cultures {
		w = append(w, c.weight)
	}
	return w
}()

// pick draws a position by weight.
func pick(r *rand.Rand, weights []int) int {
	total := 0
	for _, w := range weights {
		total += w
	}
	n := r.IntN(total)
	for i, w := range weights {
		if n < w {
			return i
		}
		n -= w
	}
	return 0
}

// spell splits "shown=latin".
func spell(name string) (shown, latin string) {
	shown, latin, ok := strings.Cut(name, "=")
	if !ok {
		return shown, shown
	}
	return shown, latin
}

// marked maps letters with marks to those without.
var marked = func() map[rune]rune {
	m := map[rune]rune{}
	for _, pair := range split("àáâãäåāąảạầấậẩẫắằặẳẵă:a çćčĉ:c ďđ:d èéêëēėęěẹẻẽếềệểễ:e ğģ:g ìíîïīįịỉĩı:i İ:I ķ:k łļľ:l ñńňņ:n òóôõöøōőơọỏồốộổỗờớợởỡ:o řŕ:r śšşșṣ:s ţťț:t ùúûüūůűųưụủũừứựửữ:u ýÿỳỵỷỹ:y źżž:z") {
		letters, plain, _ := strings.Cut(pair, ":")
		for _, l := range letters {
			m[l] = rune(plain[0])
			m[unicode.ToUpper(l)] = unicode.ToUpper(rune(plain[0]))
		}
	}
	return m
}()

// ascii spells a Latin name with the letters that addresses have.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if plain, ok := marked[r]; ok {
			return plain
		}
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-') {
			return r
		}
		return -1
	}, s)
}
