"""Which words are names of medicines, in English and Spanish: by the stems of international nonproprietary names, and by a list.

Source: the stems are those of WHO, Use of stems in the selection of international nonproprietary names (INN), 2018, with their Spanish
endings; the list of names without such a stem, and of words that end like one and are none, is ours. A word too many is only left alone.
"""

from __future__ import annotations

import re

_ENDINGS = (
    # English, and both languages where they are alike; a plural s may follow.
    "pril|prilat|sartan|olol|alol|statin|mab|tinib|zomib|ciclib|parib|rafenib|metinib|lisib|degib|anib|ercept|atacept|kinra|cillin|azole|mycin|micin|"
    "floxacin|oxacin|cycline|dipine|gliptin|gliflozin|glutide|glitazone|glinide|parin|xaban|gatran|triptan|setron|prazan|prazole|tidine|"
    "lukast|dronate|dronic|vir|virine|fovir|navir|tegravir|previr|buvir|asvir|vudine|citabine|rubicin|platin|taxel|poside|tecan|trexate|"
    "trexed|zolamide|thiazide|semide|pamide|renone|azepam|azolam|bamate|barbital|caine|curium|curonium|fentanil|fentanyl|orphine|orphone|"
    "codone|oxetine|traline|pramine|triptyline|peridol|perone|azine|apine|idone|piprazole|profen|fenac|oxicam|coxib|terol|phylline|"
    "tropium|asone|isone|olone|onide|sonide|estrel|gestrel|steride|zosin|afil|fibrate|quine|quinil|nidazole|bendazole|fungin|conazole|"
    "penem|bactam|planin|vancin|zolid|stim|poetin|grastim|ermin|teplase|plase|relin|relix|tocin|pressin|tide|ximab|zumab|limus|prost|"
    "amivir|ciclovir|cyclovir|amantadine|dopa|giline|capone|gepant|mustine|fosfamide|phosphamide|lomide|bicin|arabine|purine|guanine|"
    "thiouracil|imazole|grel|grelor|fiban|arol|coumarol|rinone|arone|cainide|dralazine|nitrate|mantine|stigmine|tamide|sulfan|"
    "irudin|domide|vaptan|dribine|fenacin|begron|begrón|imod|amphetamine|xostat|sulpride|terone|zidine|azoline|"
    # Spanish.
    "prilo|sartán|estatina|cilina|azol|micina|floxacino|oxacino|ciclina|dipino|gliptina|gliflozina|glutida|glitazona|glinida|parina|"
    "gatrán|triptán|setrón|tidina|dronato|virina|vudina|citabina|rubicina|platino|taxel|pósido|tecán|trexato|zolamida|tiazida|semida|"
    "pamida|renona|bamato|barbital|caína|curio|curonio|fentanilo|orfina|orfona|codona|oxetina|tralina|pramina|triptilina|peridol|perona|"
    "azina|apina|idona|profeno|fenaco|filina|tropio|asona|isona|olona|ónido|sonida|esterida|zosina|afilo|fibrato|quina|bendazol|fungina|"
    "plasa|relina|tocina|presina|fosfamida|lomida|mustina|tiouracilo|dralazina|nitrato|stigmina|tamida|sulfán|cumarol|rinona|"
    "arona|cainida|gilina|capona|statina|xabán|domida|vaptán|rabina|dribina|irudina|nacina|prida|carbazepina|faxina|feniramina|lastina|"
    "bastina|tadina|trozol|terona|zolamida|azolina|anfetamina"
)
_BEGINNINGS = (
    r"cef(?!al(?:ea|á|o[^s]))|ceph(?!al(?:i|a|o[^s]))|sulfa|sulfo|inter(?:feron|leu[ck]in)|gluco(?:corti)|predni|estradi|noradrenalin|"
    "adrenalin|epineph|norepineph|tetracic|vacun|vaccin"
)
_BY_STEM = re.compile(rf"(?:{_BEGINNINGS})\w{{3,}}|\w{{2,}}(?:{_ENDINGS})(?:e?s)?")

NAMES = frozenset(
    """
    abacavir acamprosate acamprosato acarbose acarbosa acebutolol aceclofenac acenocoumarol acenocumarol acetaminophen acetaminofén
    acetazolamide acetazolamida acetylcysteine acetilcisteína acetylsalicylic acetilsalicílico aciclovir acyclovir acitretin acitretina
    adenosine adenosina adrenaline adrenalina agomelatine agomelatina albumin albúmina albuterol alcohol alendronate allopurinol alopurinol
    alteplase alprostadil aluminium amantadine amantadina ambrisentan amikacin amikacina amiloride amilorida aminophylline amiodarone
    amiodarona amitriptyline amoxicillin amoxicilina amphetamine anfetamina amphotericin anfotericina anastrozole apomorphine apomorfina
    aprepitant aspirin aspirina atomoxetine atracurium atropine atropina azathioprine azatioprina azelastine azithromycin azitromicina
    aztreonam baclofen baclofeno beclometasone bendroflumethiazide benserazide benserazida benzathine benzatina benznidazole betahistine
    betahistina bicalutamide bicalutamida bicarbonate bicarbonato bisacodyl bisacodilo bleomycin bleomicina bosentan bosentán botulinum
    botulínica bromocriptine bromocriptina budesonide budesónida bumetanide bumetanida buprenorphine buprenorfina bupropion bupropión
    buspirone buspirona cabergoline cabergolina caffeine cafeína calcitonin calcitonina calcitriol calcium calcio captopril carbamazepine
    carbamazepina carbidopa carbimazole carbimazol carboplatin carvedilol caspofungin celecoxib cetirizine cetirizina charcoal carbón
    chlorambucil clorambucilo chloramphenicol cloranfenicol chlordiazepoxide clordiazepóxido chlorhexidine clorhexidina chloroquine
    cloroquina chlorpheniramine clorfeniramina chlorpromazine clorpromazina chlorthalidone clortalidona cholestyramine colestiramina
    cilostazol cinacalcet cinnarizine cinarizina cisplatin cisplatino citalopram escitalopram clarithromycin claritromicina clavulanic
    clavulánico clavulanate clemastine clindamycin clindamicina clobetasol clofazimine clofazimina clomethiazole clometiazol clomiphene
    clomifeno clonidine clonidina clopidogrel clotrimazole clozapine clozapina cocaine cocaína codeine codeína colchicine colchicina
    colestipol colistin colistina cortisol cortisone cromoglycate cromoglicato cyanocobalamin cianocobalamina cyclizine cyclobenzaprine
    ciclobenzaprina cyclophosphamide ciclofosfamida cyclosporine cyclosporin ciclosporina cyproheptadine ciproheptadina cyproterone
    ciproterona cytarabine citarabina dabigatran dacarbazine dactinomycin dalteparin danazol dantrolene dantroleno dapsone dapsona
    daunorubicin deferasirox deferoxamine desferrioxamine desferrioxamina deferoxamina demeclocycline desloratadine desmopressin
    desmopresina dexamethasone dexametasona dexmedetomidine dextromethorphan dextrometorfano dextrose dextrosa diazepam diazoxide diazóxido
    diclofenac diclofenaco didanosine didanosina digoxin digoxina dihydroergotamine dihidroergotamina diltiazem dimenhydrinate
    dimenhidrinato dimercaprol diphenhydramine difenhidramina dipyridamole dipiridamol disulfiram dobutamine dobutamina docusate domperidone
    domperidona donepezil donepezilo dopamine dopamina doxepin doxepina doxorubicin doxycycline doxiciclina dronedarone droperidol
    duloxetine dutasteride edrophonium edrofonio efavirenz eletriptan eltrombopag emtricitabine emtricitabina enoxaparin entacapone
    ephedrine efedrina epinephrine epinefrina eplerenone erdosteine ergotamine ergotamina erythromycin eritromicina erythropoietin
    eritropoyetina esomeprazole estradiol estriol estrogen estrógeno estrógenos estrogens etanercept ethambutol etambutol ethanol etanol
    ethinylestradiol etinilestradiol ethosuximide etosuximida etomidate etomidato etonogestrel etoposide etopósido etoricoxib exemestane
    exemestano exenatide exenatida ezetimibe ezetimiba famotidine felodipine fenofibrate fentanyl fexofenadine fexofenadina filgrastim
    finasteride flecainide flucloxacillin fluconazole flucytosine flucitosina fludrocortisone flumazenil flumazenilo fluoride fluoruro
    fluoxetine fluphenazine flufenazina flutamide flutamida fluticasone fluvoxamine fluvoxamina folate folic fólico folinic folínico
    fondaparinux formaldehyde fosfomycin fosfomicina fosphenytoin furosemide furosemida fusidic fusídico gabapentin gabapentina galantamine
    galantamina ganciclovir gemcitabine gemfibrozil gemfibrozilo gentamicin gentamicina glatiramer glibenclamide glibenclamida gliclazide
    gliclazida glimepiride glimepirida glipizide glipizida glucagon glucagón glucosamine glucosamina glucose glucosa glyburide glycerol
    glicerol glycopyrrolate glicopirrolato griseofulvin griseofulvina guanethidine haloperidol halothane halotano heparin heparina heroin
    heroína hydralazine hidralazina hydrochlorothiazide hidroclorotiazida hydrocortisone hidrocortisona hydroxychloroquine
    hidroxicloroquina hydroxyurea hidroxiurea hydroxyzine hidroxizina hyoscine ibuprofen ibuprofeno ibutilide imatinib imipramine imiquimod
    immunoglobulin immunoglobulins inmunoglobulina inmunoglobulinas indapamide indapamida indomethacin indometacina insulin insulina
    insulins insulinas iodine yodo ipratropium ipecac ipecacuana iron hierro isoflurane isoflurano isoniazid isoniazida isoprenaline
    isoproterenol isosorbide isosorbida isotretinoin isotretinoína ivabradine ivabradina ivermectin ivermectina ketamine ketamina
    ketoconazole ketorolac ketorolaco labetalol lacosamide lacosamida lactulose lactulosa lamivudine lamotrigine lamotrigina lanreotide
    latanoprost leflunomide leflunomida lenalidomide letrozole leucovorin leuprolide leuprorelin levetiracetam levocetirizine levodopa
    levomepromazine levomepromazina levonorgestrel levothyroxine levotiroxina lidocaine lidocaína lignocaine lincomycin linezolid
    liothyronine liotironina lisinopril lithium litio loperamide loperamida loratadine loratadina lorazepam lormetazepam losartan
    lurasidone magnesium magnesio mannitol manitol maraviroc mebendazole meclizine meclozine medroxyprogesterone medroxiprogesterona
    mefloquine megestrol melatonin melatonina meloxicam melphalan melfalán memantine memantina meperidine meperidina meprobamate
    mercaptopurine mercaptopurina mesalazine mesalamine mesalazina mesna metamizole metamizol metformin metformina methadone metadona
    methimazole tiamazol metimazol methocarbamol metocarbamol methotrexate metotrexato methyldopa metildopa methylene metileno
    methylphenidate metilfenidato methylprednisolone metilprednisolona methysergide metoclopramide metoclopramida metolazone metoprolol
    metronidazole mianserin mianserina miconazole midazolam midodrine mifepristone mifepristona milrinone minocycline minoxidil mirtazapine
    mirtazapina misoprostol mitomycin mitotane mitotano mitoxantrone mitoxantrona modafinil modafinilo montelukast morphine morfina
    moxonidine mupirocin mupirocina mycophenolate micofenolato nalbuphine nalidixic nalidíxico naloxone naloxona naltrexone naltrexona
    naproxen naproxeno nefazodone neomycin neostigmine neostigmina nevirapine nevirapina niacin niacina nicotine nicotina nicotinic
    nifedipine nimodipine nimodipino nitrofurantoin nitrofurantoína nitroglycerin nitroglycerine nitroglicerina nitroprusside
    nitroprusiato noradrenaline noradrenalina norepinephrine norepinefrina norethisterone noretisterona nortriptyline nortriptilina
    nystatin nistatina octreotide octreotida olanzapine omeprazole ondansetron opium opio orlistat ornithine oseltamivir oxaliplatin
    oxybutynin oxibutinina oxycodone oxygen oxígeno oxytocin oxitocina paclitaxel palonosetron pancuronium pantoprazole papaverine
    papaverina paracetamol paroxetine penicillamine penicilamina penicillin penicilina penicillins penicilinas pentamidine pentamidina
    pentazocine pentazocina pentobarbital pentostatin pentoxifylline pentoxifilina permethrin permetrina perphenazine perfenazina pethidine
    petidina phenelzine fenelzina phenobarbital phenobarbitone fenobarbital phentolamine fentolamina phenylephrine fenilefrina phenytoin
    fenitoína phytomenadione fitomenadiona physostigmine fisostigmina pilocarpine pilocarpina pimozide pimozida pioglitazone piperacillin
    pirenzepine pirenzepina piroxicam pizotifen polymyxin polimixina potassium potasio povidone povidona pramipexole pramipexol pralidoxime
    pralidoxima prasugrel pravastatin praziquantel prazicuantel prazosin prednisolone prednisolona prednisone prednisona pregabalin
    pregabalina primaquine primaquina primidone primidona probenecid procainamide procainamida procaine progesterone progesterona
    progestin progestins progestogen promethazine prometazina propafenone propafenona propofol propranolol propylthiouracil
    propiltiouracilo prostaglandin prostaglandina protamine protamina pseudoephedrine pseudoefedrina pyrazinamide pirazinamida
    pyridostigmine piridostigmina pyridoxine piridoxina pyrimethamine pirimetamina quetiapine quetiapina quinidine quinidina quinine
    quinina quinapril raloxifene raloxifeno raltegravir ramelteon ramipril ranitidine ranitidina ranolazine ranolazina rasburicase
    rasburicasa reboxetine remifentanil repaglinide reserpine reserpina retinol ribavirin ribavirina rifabutin rifabutina rifampicin
    rifampin rifampicina rifaximin rifaximina riluzole riluzol risedronate risperidone risperidona ritodrine rivastigmine rocuronium
    ropinirole ropinirol rosiglitazone rotigotine rotigotina sacubitril salbutamol salicylate salicilato saline salmeterol selegiline
    selegilina selenium senna sennosides sertraline sevelamer sevelámero sevoflurane sevoflurano sildenafil simethicone simeticona
    simvastatin sodium sodio somatostatin somatostatina sorafenib sorbitol sotalol spironolactone espironolactona stavudine estavudina
    streptokinase estreptoquinasa streptomycin estreptomicina strontium estroncio succinylcholine succinilcolina sucralfate sucralfato
    sugammadex sulfadiazine sulfamethoxazole sulfametoxazol sulfasalazine sulfasalazina sulpiride sulpirida sumatriptan suxamethonium
    suxametonio tacrolimus tadalafil tamoxifen tamoxifeno tamsulosin tamsulosina teicoplanin temazepam tenecteplase tenofovir terazosin
    terbinafine terbinafina terbutaline terbutalina teriparatide teriparatida testosterone testosterona tetrabenazine tetrabenazina
    tetracycline tetraciclina thalidomide talidomida theophylline teofilina thiamine tiamina thiopental tiopental thioridazine tioridazina
    tiagabine tiagabina tibolone tibolona ticagrelor ticlopidine ticlopidina timolol tinidazole tirofiban tizanidine tizanidina
    tobramycin tobramicina tocopherol tolbutamide tolbutamida tolterodine tolterodina topiramate topiramato torasemide torasemida tramadol
    tranexamic tranexámico tranylcypromine tranilcipromina trazodone trazodona tretinoin tretinoína triamcinolone triamcinolona triamterene
    triamtereno trihexyphenidyl trihexifenidilo trimethoprim trimetoprima trimetoprim cotrimoxazol cotrimoxazole tropicamide tropicamida
    urokinase uroquinasa ursodeoxycholic ursodesoxicólico valerian valproate valproato valproic valproico valganciclovir vancomycin
    vancomicina vardenafil varenicline vareniclina vasopressin vasopresina vecuronium venlafaxine venlafaxina verapamil verapamilo
    vigabatrin vigabatrina vinblastine vinblastina vincristine vincristina vinorelbine voriconazole warfarin warfarina xylometazoline
    zafirlukast zaleplon zidovudine zinc ziprasidone zoledronate zolpidem zonisamide zonisamida zopiclone zopiclona opioid opioids opioide
    opioides opiates opiáceos benzodiazepine benzodiazepines benzodiacepina benzodiacepinas benzodiazepina benzodiazepinas corticosteroid
    corticosteroids corticoide corticoides esteroides steroids digitalis digital digitálicos diuretic diuretics diurético diuréticos
    pivmecillinam argatroban argatrobán silodosin ethacrynic etacrínico nabumetone nabumetona umeclidinium umeclidinio norethindrone
    dinoprostone dinoprostona safinamide ifosfamide ixabepilone eribulin eribulina teriflunomide teriflunomida vorapaxar dofetilide
    mexiletine mexiletina bethanechol betanecol carbachol scopolamine escopolamina benztropine brimonidine brimonidina apraclonidine
    methylergonovine metilergometrina diphenoxylate balsalazide lesinurad pegloticase zileuton roflumilast guaifenesin guaifenesina
    benzonatate doxylamine doxilamina rufinamide perampanel suvorexant nalmefene nalmefeno fentanilo tapentadol dutasterida ambroxol
    levosulpirida ebastina
    ibutilida tacrina dextrano heparinas aspirinas anticonceptivos contraceptives
    """.split()
)
"""Names in small letters: those that have no stem, and the commonest of those that have one."""

_NO_DRUGS = frozenset(
    """
    cholesterol colesterol convivir determines esquina magazine magazines maquina máquina máquinas nucleotide nucleotides peptide peptides
    polypeptide revivir servir vaccinated vaccination vacunación vacunada vacunado vacunados vacunales vivir
    """.split()
)
"""Words with such an ending that are no medicine."""


def is_drug(word: str) -> bool:
    """Whether a word names a medicine, or ends as one does.

    Args:
        word: one word in any case.
    """
    small = word.lower()
    return small in NAMES or (small not in _NO_DRUGS and _BY_STEM.fullmatch(small) is not None)
